"""Small convolutional networks on scikit-learn's digits."""
