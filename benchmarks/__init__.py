"""What the service costs, run by hand: ratios against a peer or a floor of the same run."""
