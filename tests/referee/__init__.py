"""A second opinion on the statistics: the same figures by other computations, and simulated worlds that depart."""
