"""Those that are asked: Gemini and OpenAI-compatible servers, their replies, their refusals."""
