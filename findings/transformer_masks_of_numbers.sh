#!/usr/bin/env bash
# torch 2.13.0 (torch/nn/modules/transformer.py, TransformerEncoderLayer.forward; aten/src/ATen/native/transformers/attention.cpp):
# a mask of numbers is added to the attention's logits in training, but a layer in eval mode under no_grad reads it as one of yes and
# no: every number that is not 0 hides its place, and where none is 0 the output is NaN. nn.MultiheadAttention, where this was mended
# (pytorch #107084), adds the numbers in both. It was found as policies that trained well and chose by NaN when they were played.
# Seen: the same layer, input and mask [[0, -1], [0, 0]]: outputs differ by 0.25 with and without gradients; by 0.00 in the attention
# alone; with [[-1, -1], [-1, -1]], which changes no softmax, NaN without gradients.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 numpy
"$folder/bin/python" -W ignore - <<'PYTHON'
import torch

torch.manual_seed(0)
layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).eval()
attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
x = torch.randn(1, 2, 8)


def apart(function):
    learnt = function().detach()
    with torch.no_grad():
        return (function() - learnt).abs().max().item()


some, all_alike = torch.tensor([[0.0, -1.0], [0.0, 0.0]]), torch.full((2, 2), -1.0)
whole = apart(lambda: layer(x, src_mask=some))
alone = apart(lambda: attention(x, x, x, attn_mask=some)[0])
nothing = apart(lambda: layer(x, src_mask=all_alike))
print(f"layer {whole:.2f}, attention alone {alone:.2f}, a mask that changes nothing {nothing}")
assert whole > 0.01 and alone < 1e-5 and nothing != nothing, "it has changed"
PYTHON
