"""A zoo of small convolutional networks on scikit-learn's digits."""
