"""The sample world: a seeded synthetic Denmark, and the stand-in that serves it by the publishers' protocols."""
