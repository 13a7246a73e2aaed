# The table of methods for generics of packages that are only suggested, row by row.

lazy_rows <- function() {
  table <- partialpool:::lazy_methods
  parts <- strsplit(names(table), "::", fixed = TRUE)
  rows <- data.frame(
    package = vapply(parts, `[`, "", 1L), generic = vapply(parts, `[`, "", 2L)
  )
  rows$classes <- unname(table)
  rows
}

method_of <- function(generic, class) {
  get0(paste(generic, class, sep = "."), asNamespace("partialpool"), mode = "function")
}

test_that("the table names each generic once, and functions that are there", {
  rows <- lazy_rows()
  expect_identical(anyDuplicated(rows[c("package", "generic")]), 0L)
  for (i in seq_len(nrow(rows))) {
    for (class in rows$classes[[i]]) {
      expect_true(
        is.function(method_of(rows$generic[i], class)),
        info = paste(rows$package[i], rows$generic[i], class)
      )
    }
  }
})

test_that("no function for a generic of the table is left out of it", {
  rows <- lazy_rows()
  known <- unlist(Map(paste, rows$generic, rows$classes, sep = "."))
  for (generic in unique(rows$generic)) {
    start <- paste0("^\\Q", generic, "\\E\\.(summary\\.)?pp_")
    written <- grep(start, ls(asNamespace("partialpool")), value = TRUE, perl = TRUE)
    in_namespace <- names(getNamespaceInfo("partialpool", "S3methods")[, 1L])
    expect_identical(setdiff(written, c(known, in_namespace)), character())
  }
})

# Least versions of the suggested packages, by name.
suggested_versions <- function() {
  entries <- strsplit(utils::packageDescription("partialpool")$Suggests, ",")[[1L]]
  bounded <- grepl(">=", entries)
  versions <- ifelse(bounded, gsub(".*>=\\s*|\\s*\\).*", "", entries), "0")
  stats::setNames(versions, trimws(sub("\\(.*", "", entries)))
}

test_that("each package of the table is suggested", {
  expect_identical(setdiff(lazy_rows()$package, names(suggested_versions())), character())
})

rows <- lazy_rows()
least <- suggested_versions()
for (package in unique(rows$package)) {
  test_that(paste("methods are registered with", package), {
    skip_if_not_installed(package, least[[package]])
    of_package <- rows[rows$package == package, ]
    exports <- asNamespace(package)
    there <- vapply(of_package$generic, exists, NA, envir = exports, inherits = FALSE)
    # A release may lack some generics, but not all of them.
    expect_true(any(there))
    for (i in which(there)) {
      generic <- get(of_package$generic[i], envir = exports)
      methods <- get(".__S3MethodsTable__.", topenv(environment(generic)))
      wanted <- setdiff(names(formals(generic)), "...")
      for (class in of_package$classes[[i]]) {
        ours <- method_of(of_package$generic[i], class)
        label <- paste(of_package$generic[i], class)
        found <- methods[[paste(of_package$generic[i], class, sep = ".")]]
        expect_identical(found, ours, info = label)
        expect_true(names(formals(generic))[1L] %in% names(formals(ours)), info = label)
        if (!"..." %in% names(formals(ours))) {
          expect_identical(setdiff(wanted, names(formals(ours))), character(), info = label)
        }
      }
    }
  })
}
