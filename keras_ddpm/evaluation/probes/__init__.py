"""What is looked at along the process: recognition of digits, numerical health."""
