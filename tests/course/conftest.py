import assignments
import course
import exercises
import pytest

from ..book.conftest import chromium, html, site  # noqa: F401 - fixtures

EXERCISES = exercises.all_exercises()
CHECKED = {label: e for label, e in EXERCISES.items() if e.call}
WEEKS = course.plan()["weeks"]


@pytest.fixture(scope="session")
def texts(html):  # noqa: F811
    """What the built book says of each exercise, equation and figure."""
    return assignments.texts()


@pytest.fixture(scope="session")
def course_built(html):  # noqa: F811
    """What `make course` made."""
    if not (course.OUT / "slides" / "index.html").exists():
        pytest.fail("the course is not built: run `make course` first")
    return course.OUT
