"""How everything drawn or trained under `assets/` was made; nothing of the product imports this package.

A build tool: it may use torch, diffusers and transformers anywhere, unlike the studio. `python -m assets.build --help`.
"""
