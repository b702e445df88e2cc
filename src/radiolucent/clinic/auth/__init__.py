"""Who is at the door: passwords, sessions, tokens, single sign-on, and the brake on guessing."""
