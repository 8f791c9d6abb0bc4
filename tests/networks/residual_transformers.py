"""Small transformers, and what looks like one, with the names that others give them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def attention(q, k, v, n_heads: int, *, causal=False):
    """Places (B, T, D) -> (B, T, D)."""
    q, k, v = (x.unflatten(-1, (n_heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)


def sines(n_places: int, d: int) -> torch.Tensor:
    """(T, D): places by formula."""
    return torch.sin(torch.arange(n_places)[:, None] * torch.exp(-torch.arange(d) / 2.0) + torch.arange(d))


class Encoder(nn.Module):
    """torch.nn.TransformerEncoder on words; its places learned, kept as a buffer, or by formula alone."""

    def __init__(self, d: int = 8, hidden: int = 12, *, norm_first=False, places="learned", extra=None, head=True):
        super().__init__()
        self.embedding, self.places = nn.Embedding(11, d), places
        if places == "learned":
            self.pos_embedding = nn.Parameter(torch.empty(1, 6, d))
        elif places == "buffer":
            self.register_buffer("pe", sines(6, d)[None])
        layer = nn.TransformerEncoderLayer(d, 2, hidden, dropout=0.0, norm_first=norm_first, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(d), enable_nested_tensor=False)
        if head:
            self.classifier = nn.Linear(d, 4)
        if extra:
            setattr(self, *extra)

    def forward(self, x):
        h = self.embedding(x)
        h = h + {"learned": lambda: self.pos_embedding, "buffer": lambda: self.pe, "sines": lambda: sines(6, 8)}[self.places]()
        h = self.encoder(h).mean(1)
        return self.classifier(h) if hasattr(self, "classifier") else h


class ViT(nn.Module):
    """A pre-norm encoder of patches under the names of timm."""

    class Attention(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)

        def forward(self, x):
            return self.proj(attention(*self.qkv(x).chunk(3, dim=-1), 2))

    class MLP(nn.Module):
        def __init__(self, d, hidden):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(d, hidden), nn.Linear(hidden, d)

        def forward(self, x):
            return self.fc2(F.gelu(self.fc1(x)))

    class Block(nn.Module):
        def __init__(self, d, hidden):
            super().__init__()
            self.norm1, self.attn = nn.LayerNorm(d), ViT.Attention(d)
            self.norm2, self.mlp = nn.LayerNorm(d), ViT.MLP(d, hidden)

        def forward(self, x):
            x = x + self.attn(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    def __init__(self, d: int = 8, hidden: int = 20):
        super().__init__()
        self.cls_token, self.pos_embed = nn.Parameter(torch.empty(1, 1, d)), nn.Parameter(torch.empty(1, 5, d))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, d, 4, stride=4)})
        self.blocks = nn.Sequential(*(ViT.Block(d, hidden) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 3)

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class Conv1D(nn.Module):
    """A linear layer that keeps (in, out), as in GPT-2."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(n_in, n_out)), nn.Parameter(torch.empty(n_out))

    def forward(self, x):
        return x @ self.weight + self.bias


class GPT2(nn.Module):
    """Layers that keep (in, out), or linear ones; the head tied under both names, tied and left out, or on its own."""

    class Attention(nn.Module):
        def __init__(self, d, layer):
            super().__init__()
            self.c_attn, self.c_proj = layer(d, 3 * d), layer(d, d)
            self.register_buffer("bias", torch.ones(1, 1, 6, 6))

        def forward(self, x):
            return self.c_proj(attention(*self.c_attn(x).chunk(3, dim=-1), 2, causal=True))

    class MLP(nn.Module):
        def __init__(self, d, hidden, layer):
            super().__init__()
            self.c_fc, self.c_proj = layer(d, hidden), layer(hidden, d)

        def forward(self, x):
            return self.c_proj(F.gelu(self.c_fc(x)))

    class Block(nn.Module):
        def __init__(self, d, hidden, layer):
            super().__init__()
            self.ln_1, self.attn = nn.LayerNorm(d), GPT2.Attention(d, layer)
            self.ln_2, self.mlp = nn.LayerNorm(d), GPT2.MLP(d, hidden, layer)

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    def __init__(self, d: int = 8, hidden: int = 20, *, layer=Conv1D, head="untied"):
        super().__init__()
        parts = {"wte": nn.Embedding(11, d), "wpe": nn.Embedding(6, d), "ln_f": nn.LayerNorm(d)}
        self.transformer = nn.ModuleDict(parts | {"h": nn.Sequential(*(GPT2.Block(d, hidden, layer) for _ in range(2)))})
        if head != "left out":
            self.lm_head = nn.Linear(d, 11, bias=False)
        if head == "tied":
            self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, x):
        parts = self.transformer
        h = parts["ln_f"](parts["h"](parts["wte"](x) + parts["wpe"].weight))
        return self.lm_head(h) if hasattr(self, "lm_head") else h @ parts["wte"].weight.T


class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


class Llama(nn.Module):
    """RMS norms, rotary places, few keys and values, gated MLPs, no biases."""

    class Attention(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.q_proj, self.o_proj = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
            self.k_proj, self.v_proj = nn.Linear(d, d // 2, bias=False), nn.Linear(d, d // 2, bias=False)

        def forward(self, x):
            q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
            half = q.shape[-1] // 4
            turn = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)

            def turned(y):
                a, b = y.unflatten(-1, (-1, 2, half)).unbind(-2)
                cos, sin = turn.cos()[:, None], turn.sin()[:, None]
                return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-2).flatten(-3)

            return self.o_proj(attention(turned(q), turned(k).repeat(1, 1, 2), v.repeat(1, 1, 2), 2, causal=True))

    class MLP(nn.Module):
        def __init__(self, d, hidden):
            super().__init__()
            self.gate_proj, self.up_proj = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
            self.down_proj = nn.Linear(hidden, d, bias=False)

        def forward(self, x):
            return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))

    class Layer(nn.Module):
        def __init__(self, d, hidden):
            super().__init__()
            self.self_attn, self.mlp = Llama.Attention(d), Llama.MLP(d, hidden)
            self.input_layernorm, self.post_attention_layernorm = RMSNorm(d), RMSNorm(d)

        def forward(self, x):
            x = x + self.self_attn(self.input_layernorm(x))
            return x + self.mlp(self.post_attention_layernorm(x))

    def __init__(self, d: int = 8, hidden: int = 20):
        super().__init__()
        layers = nn.Sequential(*(Llama.Layer(d, hidden) for _ in range(2)))
        self.model = nn.ModuleDict({"embed_tokens": nn.Embedding(11, d), "layers": layers, "norm": RMSNorm(d)})
        self.lm_head = nn.Linear(d, 11, bias=False)

    def forward(self, x):
        return self.lm_head(self.model["norm"](self.model["layers"](self.model["embed_tokens"](x))))


def group(**parts: nn.Module) -> nn.ModuleDict:
    """Modules inside a module, by name."""
    return nn.ModuleDict(parts)


class Bert(nn.Module):
    """Post-norm, separate projections; the head reads through a layer as wide as the stream and norms it: as masked words, tied
    with its bias alone left, or as a class through the pooler."""

    def __init__(self, d: int = 8, hidden: int = 20, *, head="words"):
        super().__init__()
        self.kind = head
        tables = {"word_embeddings": 11, "position_embeddings": 6, "token_type_embeddings": 2}
        embeddings = group(**{name: nn.Embedding(n, d) for name, n in tables.items()}, LayerNorm=nn.LayerNorm(d))
        layers = nn.ModuleList(self.layer(d, hidden) for _ in range(2))
        self.bert = group(embeddings=embeddings, encoder=group(layer=layers))
        if head == "words":
            self.cls = group(predictions=group(transform=group(dense=nn.Linear(d, d), LayerNorm=nn.LayerNorm(d))))
            self.cls["predictions"].bias = nn.Parameter(torch.empty(11))
        else:
            self.bert["pooler"] = group(dense=nn.Linear(d, d))
        if head == "class":
            self.classifier = nn.Linear(d, 3)

    @staticmethod
    def layer(d, hidden):
        own = group(query=nn.Linear(d, d), key=nn.Linear(d, d), value=nn.Linear(d, d))
        output = group(dense=nn.Linear(d, d), LayerNorm=nn.LayerNorm(d))
        last = group(dense=nn.Linear(hidden, d), LayerNorm=nn.LayerNorm(d))
        return group(attention=group(self=own, output=output), intermediate=group(dense=nn.Linear(d, hidden)), output=last)

    def forward(self, x):
        parts = self.bert["embeddings"]
        h = parts["word_embeddings"](x) + parts["position_embeddings"].weight + parts["token_type_embeddings"].weight[0]
        h = parts["LayerNorm"](h)
        for layer in self.bert["encoder"]["layer"]:
            own, out = layer["attention"]["self"], layer["attention"]["output"]
            seen = attention(own["query"](h), own["key"](h), own["value"](h), 2)
            h = out["LayerNorm"](h + out["dense"](seen))
            h = layer["output"]["LayerNorm"](h + layer["output"]["dense"](F.gelu(layer["intermediate"]["dense"](h))))
        if self.kind == "words":
            read = self.cls["predictions"]["transform"]
            h = read["LayerNorm"](F.gelu(read["dense"](h)))
            return h @ parts["word_embeddings"].weight.T + self.cls["predictions"].bias
        pooled = torch.tanh(self.bert["pooler"]["dense"](h[:, 0]))
        return self.classifier(pooled) if self.kind == "class" else pooled


class Mixer(nn.Module):
    """MLPs along the stream and, transposed, along as many places as the stream is wide."""

    class Block(nn.Module):
        def __init__(self, d, name):
            super().__init__()
            self.name = name
            for part, hidden in ((name, 6), ("mlp", 11)):
                setattr(self, part, ViT.MLP(d, hidden))
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)

        def forward(self, x):
            x = x + getattr(self, self.name)(self.norm1(x).mT).mT
            return x + self.mlp(self.norm2(x))

    def __init__(self, name: str, d: int = 4):
        super().__init__()
        self.stem, self.head = nn.Linear(16, d), nn.Linear(d, 3)
        self.blocks = nn.Sequential(*(Mixer.Block(d, name) for _ in range(2)))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x.unfold(2, 4, 4).unfold(3, 4, 4).reshape(len(x), 4, 16))).mean(1))
