"""What layers do: attention, recurrences, feed-forward; an architecture's spec says which."""
