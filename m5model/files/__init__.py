"""Files and folders, local or on S3: open, hash, copy, lease."""
