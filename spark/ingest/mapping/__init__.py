"""Fields of a feed become columns of a listing."""
