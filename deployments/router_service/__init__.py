"""`routecal serve-router`: decides which model answers and relays the answer, beside what people route with already.

service_settings  what is configured; unknown names are errors
conversation      which text of a conversation is routed
batcher           decisions of requests that are there together, in one forward pass
model_field       a request's bytes with another model's name, and nothing else changed
upstream, relay   the model servers, and their answers on the way to the client, byte by byte
"""
