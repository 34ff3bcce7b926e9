"""What lies on disk: snapshots, builds and frozen baselines."""
