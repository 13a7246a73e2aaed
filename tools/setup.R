# Installs what a goal of the Makefile needs and is missing. Called by tools/setup.sh.
#
# Needed R packages are read from DESCRIPTION. Where the system's package manager may be used, its
# prebuilt packages come first, if they are recent enough; the rest comes from the repository that R
# is configured with. What is only suggested may stay missing: that is said and remembered.

main <- function(goal) {
  wanted <- wanted_packages(goal)
  stamp <- file.path(".make", paste0("setup-", goal))
  fingerprint <- paste(c(
    R.version.string, .libPaths(), tools::md5sum(c("DESCRIPTION", "tools/setup.R"))
  ), collapse = "\n")
  known <- read_stamp(stamp, fingerprint)
  if (!is.null(known)) {
    expected <- wanted[!wanted$name %in% known, ]
    # Loading everything again would take seconds: load what is needed, look for the rest
    if (all(loadable(expected[expected$required, ])) && all(recent_enough(expected))) {
      return(invisible())
    }
  }

  missing <- wanted[!loadable(wanted), ]
  programs <- missing_programs(goal)
  if (nrow(missing) > 0) say("missing R packages: ", toString(missing$name))
  if (length(programs) > 0) say("missing programs: ", toString(names(programs)))
  if (nrow(missing) + length(programs) > 0 && apt_usable()) {
    install_by_apt(missing, programs)
    missing <- missing[!loadable(missing), ]
  }
  if (nrow(missing) > 0) {
    install_from_repository(missing)
    missing <- missing[!loadable(missing), ]
  }
  if (any(missing$required)) {
    stop("setup: could not install ", toString(missing$name[missing$required]), call. = FALSE)
  }
  if (nrow(missing) > 0) say("goes on without ", toString(missing$name), " (only suggested)")
  programs <- names(missing_programs(goal))
  if (length(programs) > 0) say("goes on without ", toString(programs))
  saveRDS(list(fingerprint = fingerprint, without = missing$name), stamp)
  say("ready for make ", goal)
}

say <- function(...) message("setup: ", ...)

read_stamp <- function(stamp, fingerprint) {
  if (!file.exists(stamp)) return(NULL)
  known <- readRDS(stamp)
  if (identical(known$fingerprint, fingerprint)) known$without else NULL
}

# ---- what is needed -----------------------------------------------------------------------------

wanted_packages <- function(goal) {
  description <- read.dcf("DESCRIPTION")
  field <- function(name) parse_dependencies(description[, name])
  hard <- rbind(field("Imports"), field("LinkingTo"))
  suggested <- field("Suggests")
  extra <- function(...) data.frame(name = c(...), version = "0")
  optional <- switch(goal,
    demo = suggested[suggested$name %in% c("knitr", "rmarkdown"), ],
    test = suggested,
    bench = extra("lme4", "glmmTMB"),
    site = rbind(suggested, extra("pkgdown")),
    develop = rbind(suggested, extra("roxygen2", "pkgbuild", "lintr", "styler")),
    stop("setup: unknown goal '", goal, "'", call. = FALSE)
  )
  # The tests cannot be run without their runner, nor the help pages be written without theirs
  runner <- optional$name %in% c("testthat", "roxygen2", "pkgbuild", "pkgdown")
  wanted <- rbind(
    data.frame(hard, required = rep(TRUE, nrow(hard))),
    data.frame(optional, required = runner)
  )
  wanted[!duplicated(wanted$name) & !wanted$name %in% base_packages(), ]
}

# Asking installed.packages() would take most of a second
base_packages <- function() {
  c(
    "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel",
    "splines", "stats", "stats4", "tcltk", "tools", "utils"
  )
}

# "a, b (>= 1.2)" as a data frame of names and least versions
parse_dependencies <- function(text) {
  items <- trimws(unlist(strsplit(text[!is.na(text)], ",")))
  items <- items[nzchar(items)]
  name <- trimws(sub("\\(.*", "", items))
  bounded <- grepl("\\(\\s*>=", items)
  version <- ifelse(bounded, gsub(".*>=\\s*|\\s*\\).*", "", items), "0")
  data.frame(name = name, version = version)[name != "R", ]
}

recent_enough <- function(packages) {
  as.logical(mapply(function(name, version) {
    nzchar(system.file(package = name)) && utils::packageVersion(name) >= version
  }, packages$name, packages$version))
}

loadable <- function(packages) {
  ok <- recent_enough(packages)
  for (i in which(ok)) {
    ok[i] <- suppressWarnings(suppressMessages(
      tryCatch(is.environment(loadNamespace(packages$name[i])), error = function(e) FALSE)
    ))
  }
  ok
}

# Programs that the goals use where they are there; names are commands, values Debian's packages
missing_programs <- function(goal) {
  programs <- switch(goal,
    demo = , site = c(pandoc = "pandoc"),
    test = c(pandoc = "pandoc", qpdf = "qpdf", tidy = "tidy"),
    develop = c(pandoc = "pandoc", qpdf = "qpdf", tidy = "tidy", "clang-format" = "clang-format"),
    character()
  )
  programs[!nzchar(Sys.which(names(programs)))]
}

# ---- the system's package manager ---------------------------------------------------------------

administrator <- function() {
  if (identical(system2("id", "-u", stdout = TRUE), "0")) return(character())
  quiet <- function(...) suppressWarnings(system2(..., stdout = FALSE, stderr = FALSE)) == 0
  if (nzchar(Sys.which("sudo")) && quiet("sudo", c("-n", "true"))) "sudo" else NULL
}

apt_usable <- function() {
  nzchar(Sys.which("apt-get")) && !is.null(administrator())
}

apt <- function(...) {
  command <- c(
    administrator(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq",
    "-o", "Dpkg::Use-Pty=0", ...
  )
  suppressWarnings(system2(command[1], command[-1], stdout = FALSE)) == 0
}

install_by_apt <- function(missing, programs) {
  say("asks apt-get for prebuilt packages")
  if (!apt("update")) say("apt-get update failed; goes on with the lists that are there")
  chosen <- unname(programs)
  # An R that was not installed by the system does not see the system's R packages
  if ("/usr/lib/R/site-library" %in% .libPaths()) {
    candidates <- paste0("r-cran-", tolower(missing$name))
    offered <- vapply(candidates, apt_version, "")
    fits <- mapply(function(have, need) {
      !is.na(have) && !is.na(numeric_version(have, strict = FALSE)) && numeric_version(have) >= need
    }, offered, missing$version)
    chosen <- c(chosen, candidates[as.logical(fits)])
  }
  if (length(chosen) == 0) return(say("apt-get has none of them"))
  say("apt-get install ", paste(chosen, collapse = " "))
  # Never at the price of something that is installed
  install <- c("install", "--yes", "--no-install-recommends", "--no-remove")
  if (!apt(install, chosen)) {
    for (one in chosen) if (!apt(install, one)) say("apt-get could not install ", one)
  }
}

# The upstream version that apt-get would install, NA if it knows none
apt_version <- function(package) {
  policy <- suppressWarnings(system2("apt-cache", c("policy", package), stdout = TRUE))
  line <- grep("^ *Candidate:", policy, value = TRUE)
  if (length(line) == 0 || grepl("(none)", line, fixed = TRUE)) return(NA_character_)
  version <- sub("^ *Candidate: *([0-9]+:)?", "", line)
  sub("[+~].*$", "", sub("-[^-]*$", "", version))
}

# ---- R's repository -----------------------------------------------------------------------------

repositories <- function() {
  repos <- getOption("repos")
  repos <- repos[!is.na(repos) & nzchar(repos)]
  unset <- repos == "@CRAN@"
  # The first row of R's own list of mirrors is the one that R offers first
  repos[unset] <- utils::getCRANmirrors(local.only = TRUE)$URL[1]
  repos
}

install_from_repository <- function(missing) {
  options(repos = repositories(), timeout = max(600, getOption("timeout")))
  # It warns about each form of the index that it tries in vain
  available <- tryCatch(suppressWarnings(utils::available.packages()), error = function(e) NULL)
  if (NROW(available) == 0) return(say("R's package repository cannot be reached"))
  library <- shared_library()
  wanted <- packages_to_install(missing, available)
  if (length(wanted) == 0) return(invisible())
  say("installs from R's repository into ", library, ": ", toString(wanted))
  cores <- min(2L, parallel::detectCores(), na.rm = TRUE)
  suppressWarnings(utils::install.packages(
    wanted, lib = library, available = available, dependencies = FALSE, Ncpus = cores,
    quiet = TRUE, INSTALL_opts = c("--no-docs", "--no-test-load")
  ))
}

# The library that all checkouts share: see tools/libraries.sh
shared_library <- function() {
  library <- strsplit(Sys.getenv("R_LIBS"), ":", fixed = TRUE)[[1]][2]
  if (is.na(library) || !dir.exists(library)) library <- file.path(".make", "lib")
  normalizePath(library)
}

# What is only suggested is left out where something that it needs is not to be had
packages_to_install <- function(missing, available) {
  wanted <- character()
  for (i in seq_len(nrow(missing))) {
    needs <- with_dependencies(missing[i, ], available)
    reason <- obstacle(needs, available)
    if (missing$required[i] || is.null(reason)) {
      wanted <- union(wanted, intersect(needs$name, rownames(available)))
    } else {
      say("leaves out ", missing$name[i], ": ", reason)
    }
  }
  wanted
}

# Why these packages cannot be installed here, NULL if they can
obstacle <- function(needs, available) {
  have <- needs$name %in% rownames(available)
  absent <- !have
  absent[have] <- numeric_version(available[needs$name[have], "Version"]) <
    numeric_version(needs$version[have])
  bound <- ifelse(needs$version == "0", "", paste0(" (>= ", needs$version, ")"))
  if (any(absent)) {
    return(paste0(needs$name, bound, " is not in the repository for this R")[absent][1])
  }
  # An installed knitr or rmarkdown may not load with a newer version of what it imports
  knitting <- unlist(lapply(c("knitr", "rmarkdown"), function(package) {
    suppressWarnings(parse_dependencies(utils::packageDescription(package)["Imports"][[1]])$name)
  }))
  newer <- needs$name %in% knitting & nzchar(vapply(needs$name, function(name) {
    system.file(package = name)
  }, ""))
  if (any(newer)) paste0("knitr and rmarkdown are here for an older ", needs$name[newer][1])
}

# A package and all that it needs, itself first, as a data frame of names and least versions.
# install.packages() follows missing dependencies, but not those that are too old.
with_dependencies <- function(package, available) {
  queue <- package[c("name", "version")]
  needs <- queue[0, ]
  while (nrow(queue) > 0) {
    needs <- rbind(needs, queue)
    now <- intersect(queue$name, rownames(available))
    queue <- parse_dependencies(as.vector(available[now, c("Depends", "Imports", "LinkingTo")]))
    queue <- queue[!queue$name %in% base_packages(), ]
    queue <- queue[!paste(queue$name, queue$version) %in% paste(needs$name, needs$version), ]
    queue <- queue[!duplicated(queue) & !recent_enough(queue), ]
  }
  needs
}

main(commandArgs(trailingOnly = TRUE)[1])
