# The classical data sets, as the package lme4 (GPL >= 2) distributes them: same names, same
# contents. Their original sources are given on their help pages.
#
# Run from the root of the repository: Rscript data-raw/classics.R

names <- c(
  "sleepstudy", "Dyestuff", "Dyestuff2", "Penicillin", "Pastes", "cake", "cbpp", "grouseticks",
  "InstEval"
)

for (name in names) {
  data <- new.env()
  utils::data(list = name, package = "lme4", envir = data)
  save(
    list = name, envir = data, file = file.path("data", paste0(name, ".rda")),
    compress = "xz", version = 2
  )
}
