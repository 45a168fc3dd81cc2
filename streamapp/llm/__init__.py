"""One model call and the policies around it. No Faust, no topic may enter."""
