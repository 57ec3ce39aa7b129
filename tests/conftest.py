"""What all tests share: failing asserts of the test kit explain themselves, as those of the tests do."""

import pytest

pytest.register_assert_rewrite("llmproxy.testing.contract")
