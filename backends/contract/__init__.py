"""What the studio and the back ends agree on: settings, events, the run folder, buckets. Torch-free."""
