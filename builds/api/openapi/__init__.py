"""The OpenAPI document, derived from the routes, filters, serializers and shapes of the API."""
