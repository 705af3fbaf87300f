"""Discovery, presence and health of readers; shared by all drivers."""
