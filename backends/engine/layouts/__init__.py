"""What a run learnt, in the layouts of other programs: names and shapes of tensors, nothing else."""
