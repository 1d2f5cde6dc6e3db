"""Controllers: feedforward, LSTM and GRU."""
