# Restricts a COCO config of MMDetection to the class person.
custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

person = dict(metainfo=dict(classes=('person',), palette=[(220, 20, 60)]))
