"""The board as a service: uploads, a queue of verifications, the site. Needs the extra ``[serve]``."""
