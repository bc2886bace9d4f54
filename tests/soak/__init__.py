"""An engine of real processes under half of the load that it can bear, watched for what it does not give back."""
