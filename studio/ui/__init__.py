"""The pages, in Gradio."""

from studio.ui.quick_gradio import import_gradio

import_gradio()
