"""One distillation as a page: candidates, gaps per language, agreement, and what each step cost and earned."""
