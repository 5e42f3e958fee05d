"""Who may import whom (docs/architecture.md). A new family, method or page needs no change here."""

from __future__ import annotations

from backends.registry import BACKENDS
from tests.rules.source import for_each, imported_modules, python_files, relative

HEAVY = {"torch", "diffusers", "transformers", "peft", "accelerate", "bitsandbytes", "xformers"}
STUDIO_MAY_USE = ("backends.registry", "backends.contract")


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@for_each(python_files("app.py", "studio"))
def test_the_studio_never_imports_the_training_libraries(path):
    assert not top(imported_modules(path)) & HEAVY


@for_each(python_files("app.py", "studio"))
def test_the_studio_knows_only_the_contract_and_the_registry_of_the_back_ends(path):
    foreign = {n for n in imported_modules(path) if n.startswith("backends.") and not n.startswith(STUDIO_MAY_USE)}
    assert not foreign


@for_each(python_files("backends"))
def test_back_ends_never_import_the_studio_or_gradio(path):
    assert not top(imported_modules(path)) & {"studio", "gradio", "app"}


@for_each(python_files("backends/contract", "backends/registry.py"))
def test_contract_and_registry_are_torch_free_and_know_no_trainer(path):
    names = imported_modules(path)
    assert not top(names) & HEAVY
    assert not {n for n in names if n.startswith("backends.") and not n.startswith(STUDIO_MAY_USE)}


@for_each(python_files("studio"))
def test_gradio_stays_in_the_pages_and_the_server(path):
    if not relative(path).startswith(("studio/ui/", "studio/web/")):
        assert "gradio" not in top(imported_modules(path))


@for_each(python_files("studio"))
def test_lower_layers_do_not_know_the_server_or_the_pages(path):
    if not relative(path).startswith(("studio/ui/", "studio/web/")):
        assert not {n for n in imported_modules(path) if n.startswith(("studio.ui", "studio.web"))}


@for_each(python_files("backends/families", "backends/methods"))
def test_families_do_not_know_methods_and_methods_do_not_know_each_other(path):
    names, own = imported_modules(path), relative(path)[:-3].replace("/", ".")
    if own.startswith("backends.families"):
        assert not {n for n in names if n.startswith("backends.methods")}
    else:
        methods = {b.method_class.partition(":")[0] for b in BACKENDS.values() if b.method_class} - {own}
        assert not {n for n in names if n.startswith(tuple(methods))}, "what methods share stands in modules that are none"
        assert not {n for n in names if n.startswith("backends.families.") and not n.startswith("backends.families.protocol")}
