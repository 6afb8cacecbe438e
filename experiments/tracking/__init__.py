# SPDX-License-Identifier: Apache-2.0
"""Study of trackers on synthetic videos of groups, see ``__main__``."""
