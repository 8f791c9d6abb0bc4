"""The cloze test on parameters: tokens, masks, the transformer, pretraining, embeddings, simple imputers."""
