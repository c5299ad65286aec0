import json


def without_not(part):
    return {key: value for key, value in part.items() if key != "not"}


with open("openapi-3.0.json") as file:
    document = json.load(file, object_hook=without_not)
with open("without-not.json", "w") as file:
    json.dump(document, file)
