// What progress looks like: numbers and durations, plain lines, and the bar on a terminal.
#include "tarn/core/progress.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>

namespace tarn {
namespace {

TEST(Si, KeepsThreeDigitsAndAPrefix) {
  EXPECT_EQ(si(0), "0");
  EXPECT_EQ(si(1), "1");
  EXPECT_EQ(si(12.345), "12.3");
  EXPECT_EQ(si(999), "999");
  EXPECT_EQ(si(999.4), "999");
  EXPECT_EQ(si(999.6), "1 k");
  EXPECT_EQ(si(1000), "1 k");
  EXPECT_EQ(si(4560), "4.56 k");
  EXPECT_EQ(si(12.34e6), "12.3 M");
  EXPECT_EQ(si(999.7e6), "1 G");
  EXPECT_EQ(si(2.5e12), "2.5 T");
  EXPECT_EQ(si(3e15), "3 P");
  EXPECT_EQ(si(-4560), "-4.56 k");
  EXPECT_EQ(si(0.00123), "0.00123");
  EXPECT_EQ(si(std::nan("")), "nan");
  EXPECT_EQ(si(std::numeric_limits<double>::infinity()), "inf P");
}

TEST(Duration, ChoosesItsUnit) {
  EXPECT_EQ(duration(0.0), "0 s");
  EXPECT_EQ(duration(0.414), "0.41 s");
  EXPECT_EQ(duration(9.94), "9.9 s");
  EXPECT_EQ(duration(9.96), "10 s");
  EXPECT_EQ(duration(59.4), "59 s");
  EXPECT_EQ(duration(59.6), "1 min 00 s");
  EXPECT_EQ(duration(192), "3 min 12 s");
  EXPECT_EQ(duration(3599.4), "59 min 59 s");
  EXPECT_EQ(duration(3599.6), "1 h 00 min");
  EXPECT_EQ(duration(7500), "2 h 05 min");
  EXPECT_EQ(duration(-1.0), "?");
  EXPECT_EQ(duration(std::nan("")), "?");
  EXPECT_EQ(duration(1e300), duration(1e9));  // no overflow
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("sampling", 200, "chain-steps", 0.0);
    progress.update(50, "level 3/10");
    progress.update(200);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  const auto second = text.find('\n') + 1;
  EXPECT_EQ(text.rfind("sampling  25%  ", 0), 0u) << text;
  EXPECT_NE(text.find("chain-steps/s, "), std::string::npos);
  EXPECT_LT(text.find(" left, level 3/10\n"), second);
  EXPECT_EQ(text.compare(second, 15, "sampling 100%  "), 0) << text;
  EXPECT_EQ(text.substr(text.size() - 6), " left\n");
}

TEST(Progress, IsSilentUntilItsTimeHasCome) {
  testing::internal::CaptureStderr();
  {
    Progress progress("training", 10, "steps", 3600.0);
    for (int i = 0; i <= 10; ++i) progress.update(i);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Progress, BearsWhatMakesNoSense) {
  testing::internal::CaptureStderr();
  {
    Progress progress("odd", 0, "steps", 0.0);  // no work at all
    progress.update(0);
    progress.update(5);  // more than announced
    progress.update(-5);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("odd   0%"), std::string::npos) << text;
  EXPECT_NE(text.find("odd 100%"), std::string::npos) << text;
}

// A pseudo-terminal in the place of stderr.
class Terminal {
 public:
  Terminal() : outer_(posix_openpt(O_RDWR | O_NOCTTY)), saved_(dup(STDERR_FILENO)) {
    if (outer_ < 0 || grantpt(outer_) != 0 || unlockpt(outer_) != 0) return;
    inner_ = open(ptsname(outer_), O_RDWR | O_NOCTTY);
    if (inner_ >= 0) dup2(inner_, STDERR_FILENO);
  }
  ~Terminal() {
    restore();
    close(outer_);
  }
  bool works() const { return inner_ >= 0; }
  std::string text() {
    restore();
    std::string all;  // the kernel hands over what was written when it likes, and in pieces
    for (pollfd wait{outer_, POLLIN, 0}; poll(&wait, 1, 200) > 0;) {
      std::array<char, 4096> buffer;
      const auto n = read(outer_, buffer.data(), buffer.size());
      if (n <= 0) break;
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    std::fflush(stderr);
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    saved_ = -1;
  }
  int outer_, inner_ = -1, saved_;
};

TEST(Progress, DrawsABarOnATerminalAndWipesItAtTheEnd) {
  std::string text;
  {
    Terminal terminal;
    if (!terminal.works()) GTEST_SKIP() << "no pseudo-terminal to be had";
    {
      Progress progress("training", 100, "steps");
      progress.update(10);  // too early to draw
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      progress.update(50, "loss 0.412");
      progress.update(60, "too early again");
    }
    text = terminal.text();
  }
  EXPECT_EQ(text.rfind("\r\033[Ktraining [============            ]  50%  ", 0), 0u) << text;
  EXPECT_NE(text.find(" steps/s, "), std::string::npos) << text;
  EXPECT_NE(text.find(" left, loss 0.412"), std::string::npos) << text;
  EXPECT_EQ(text.find("too early"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  EXPECT_EQ(text.substr(text.size() - 4), "\r\033[K") << text;
}

TEST(Progress, CountsSeconds) {
  const Progress progress("t", 1, "steps");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(progress.seconds(), 0.02);
  EXPECT_LT(progress.seconds(), 60.0);
}

}  // namespace
}  // namespace tarn
