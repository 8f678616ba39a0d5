"""The starter model: its data, its training and its evaluation."""
