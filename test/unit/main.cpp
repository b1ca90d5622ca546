// Runs the tests and closes with the one line that `make test` adds up.
#include <gtest/gtest.h>

#include <cstdio>

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const int status = RUN_ALL_TESTS();
    const testing::UnitTest& run = *testing::UnitTest::GetInstance();
    std::printf("suite %s: %d passed, %d failed\n", SUITE_NAME, run.successful_test_count(), run.failed_test_count());
    return status;
}
