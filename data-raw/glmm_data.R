# Data sets of lme4 >= 1.1-38 (GPL >= 2) that the reference models of glmm() use and that older
# versions of the package lack. They are small; the tests read them from a fixture.
#
# Run from the root of the repository: Rscript data-raw/glmm_data.R

names <- c("culcitalogreg", "schizophrenia", "salamander", "gopherdat2", "toenail")

folder <- tempfile()
dir.create(folder)
source <- utils::download.packages("lme4", folder, type = "source")[1, 2]
utils::untar(source, files = file.path("lme4/data", paste0(names, ".rda")), exdir = folder)
sets <- lapply(names, function(name) {
  place <- new.env()
  load(file.path(folder, "lme4/data", paste0(name, ".rda")), envir = place)
  place[[name]]
})
saveRDS(
  stats::setNames(sets, names), "tests/testthat/fixtures/glmm_data.rds",
  compress = "xz", version = 2
)
