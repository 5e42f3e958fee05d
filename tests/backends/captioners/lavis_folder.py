"""A LAVIS model of the real classes with random weights; made inside LAVIS' environment, by that Python, with a folder and a name."""

from __future__ import annotations

import json
import sys
from pathlib import Path

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "picture", "of", "cat", "dog", "hill", "sea", "red", "blue", "on", "the", "and")


def main(folder: Path, arch: str) -> None:
    import torch

    from backends.captioners.lavis.models import _load

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", "utf-8")
    med = {"architectures": ["BertModel"], "hidden_size": 768, "num_hidden_layers": 1, "num_attention_heads": 12, "intermediate_size": 256}
    med |= {"vocab_size": len(WORDS) + 2, "max_position_embeddings": 64, "encoder_width": 768, "add_cross_attention": True}
    med |= {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0, "model_type": "bert", "add_type_embeddings": False}
    med |= {"attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "initializer_range": 0.2}
    (folder / "med.json").write_text(json.dumps(med), "utf-8")
    lines = [f"  arch: {arch}", "  load_finetuned: True", "  finetuned: weights.pth", "  vit_type: base", "  image_size: 32"]
    lines += ["  med_config_path: med.json", "  prompt: 'a picture of '"]
    (folder / "model.yaml").write_text("model:\n" + "\n".join(lines) + "\n", "utf-8")
    torch.manual_seed(0)
    torch.save({"model": {}}, folder / "weights.pth")  # nothing yet: the model keeps its random weights
    model, _ = _load(str(folder), "visual_encoder")
    torch.save({"model": model.half().state_dict()}, folder / "weights.pth")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
