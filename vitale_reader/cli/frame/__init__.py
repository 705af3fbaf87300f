"""The frame of every command: errors, options, language, output."""
