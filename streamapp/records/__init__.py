"""What travels on topics: pydantic models and their bytes. No Faust, no provider may enter."""
