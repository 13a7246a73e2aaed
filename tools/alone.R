# Fills .make/alone with links to what the package cannot do without, and nothing else: the library
# in which tools/check.sh --alone checks it.
library <- file.path(".make", "alone")
unlink(library, recursive = TRUE)
dir.create(library, recursive = TRUE)
installed <- utils::installed.packages()
hard <- c("Depends", "Imports", "LinkingTo")
direct <- unlist(lapply(
  strsplit(read.dcf("DESCRIPTION", fields = hard)[1L, ], ","),
  function(names) trimws(sub("\\(.*", "", names))
))
all <- unlist(tools::package_dependencies(direct, installed, hard, recursive = TRUE))
needed <- setdiff(c(direct, all), c("R", installed[installed[, "LibPath"] == .Library, "Package"]))
for (name in needed) file.symlink(system.file(package = name), file.path(library, name))
cat("check: only with", toString(sort(needed)), "and what R ships\n")
