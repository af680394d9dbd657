"""From a checkpoint to converted weights: reading, mapping, quantizing, sharding."""
