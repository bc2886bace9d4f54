"""The event store as a gRPC service: domain events, read, followed and published. Needs the extra `grpc`."""
