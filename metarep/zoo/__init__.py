"""The zoo: recipes (variants), the engines that train them, and the result on disk."""
