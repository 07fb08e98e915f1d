// The table of choices by measurement, a user's or a run's.
#include "fuzz_target.hpp"
#include "tarn/io/choice_file.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  ChoiceTable table;
  if (!fuzz::reads_or_refuses([&] { table = parse_choices(fuzz::text_of(data, size), fuzz::name); })) return 0;
  fuzz::expect_same(parse_choices(choices_text(table), fuzz::name) == table);
  return 0;
}
