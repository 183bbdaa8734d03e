"""The app under the platform's own runtime package."""
