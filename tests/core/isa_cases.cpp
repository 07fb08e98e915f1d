#include "isa_cases.hpp"

#include "tarn/core/isa_table.hpp"

namespace tarn::test {

const IsaCases& isa_cases(Isa isa) { TARN_RETURN_OF_ISA(isa, cases); }

}  // namespace tarn::test
