"""Groups of settings, from which each training's config is put together; it then holds exactly what means something for it."""
