"""Floor 2: one file per model; its name is its registration. Shared abstract parts start with an underscore."""
