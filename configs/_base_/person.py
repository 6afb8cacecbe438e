# What makes one of MMDetection's COCO configs a detector of people alone.
custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

person = dict(metainfo=dict(classes=('person',), palette=[(220, 20, 60)]))
