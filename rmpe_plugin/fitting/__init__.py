# SPDX-License-Identifier: Apache-2.0
"""What is learnt from a user's detections: proposals and parameters of pose NMS."""
