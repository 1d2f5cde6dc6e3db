"""The paper's addressing: content, interpolate, shift, sharpen."""
